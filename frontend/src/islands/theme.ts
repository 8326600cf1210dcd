// The visitor's choice of light, dark or the system's, kept in a cookie: the server writes it into <html data-theme>, so
// a page never flashes in the other colours, and no script has to run before the first paint.
const YEAR_S = 365 * 24 * 3600;
export const THEME_CHANGED = "store:theme";

export function startThemeSwitch(): void {
  document.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLButtonElement>("button[data-theme-choice]");
    if (button) choose(button.dataset.themeChoice ?? "system");
  });
}

function choose(theme: string): void {
  const root = document.documentElement;
  const secure = location.protocol === "https:" ? "; secure" : "";
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  document.cookie = `theme=${theme}; path=/; max-age=${YEAR_S}; samesite=lax${secure}`;
  for (const each of document.querySelectorAll<HTMLElement>("button[data-theme-choice]")) {
    each.setAttribute("aria-pressed", String(each.dataset.themeChoice === theme));
  }
  document.dispatchEvent(new Event(THEME_CHANGED));
}
