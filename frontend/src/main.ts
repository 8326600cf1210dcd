// What every page needs: htmx, and the small behaviours that plain HTML lacks.
import "./styles/main.css";
import "htmx.org";
import { startConfirmDialogs } from "./islands/confirm";
import { startCopyButtons } from "./islands/copy";
import { startMenus } from "./islands/menu";
import { startPasskeyErrors } from "./islands/passkey";
import { startThemeSwitch } from "./islands/theme";

startThemeSwitch();
startCopyButtons();
startConfirmDialogs();
startMenus();
startPasskeyErrors();
