// <button data-copy="text"> copies that text, <button data-copy-from="id"> the text of the element with that id.
const SHOWN_MS = 1600;

export function startCopyButtons(): void {
  document.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLButtonElement>("button[data-copy], button[data-copy-from]");
    if (button) void copy(button);
  });
}

async function copy(button: HTMLButtonElement): Promise<void> {
  const source = button.dataset.copyFrom ? document.getElementById(button.dataset.copyFrom) : null;
  try {
    await navigator.clipboard.writeText(source?.textContent ?? button.dataset.copy ?? "");
  } catch {
    if (source) getSelection()?.selectAllChildren(source); // no clipboard on plain HTTP: leave it selected
    return;
  }
  button.dataset.copied = "";
  const status = button.querySelector("[role=status]");
  if (status) status.textContent = button.dataset.copiedLabel ?? "";
  setTimeout(() => {
    delete button.dataset.copied;
    if (status) status.textContent = "";
  }, SHOWN_MS);
}
