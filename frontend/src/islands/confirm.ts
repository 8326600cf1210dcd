// <button data-dialog="id"> opens the native <dialog> with that id; <button data-close> inside closes it. The dialog holds
// the real form; without script the button is a link or submits to a page that asks the same question.
export function startConfirmDialogs(): void {
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    const opener = target.closest<HTMLElement>("[data-dialog]");
    const dialog = opener ? document.getElementById(opener.dataset.dialog ?? "") : null;
    if (dialog instanceof HTMLDialogElement) {
      event.preventDefault();
      dialog.showModal();
    }
    if (target.closest("[data-close]")) target.closest("dialog")?.close();
    if (target instanceof HTMLDialogElement) target.close(); // a click on the backdrop
  });
}
