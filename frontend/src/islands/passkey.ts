// django-allauth's own script talks to the authenticator; when that fails it says so in this event only.
export function startPasskeyErrors(): void {
  document.addEventListener("allauth.error", () => {
    const note = document.getElementById("passkey-error");
    if (note) note.hidden = false;
  });
}
