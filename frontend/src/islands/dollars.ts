const NANO = 1_000_000_000n;

/** Nano-dollars in full: 1234567 is "$0.001234567". The same rule as store.ledger.dollars. */
export function dollars(nano: number | bigint): string {
  return dollarParts(nano).join("");
}

/** The same inside an element, with what is beyond the cent standing back, as the template filter shows it. */
function showDollars(host: Element, nano: number | bigint): void {
  const [head, tail] = dollarParts(nano);
  const money = document.createElement("span");
  money.className = "money";
  const back = document.createElement("span");
  back.className = "money-tail";
  back.textContent = tail;
  money.append(head, document.createElement("wbr"), back);
  host.replaceChildren(money);
}

/** The balance wherever the page shows it. */
export function showBalance(nano: number): void {
  for (const balance of document.querySelectorAll("[data-balance]")) showDollars(balance, nano);
}

function dollarParts(nano: number | bigint): [head: string, tail: string] {
  const amount = BigInt(nano);
  const size = amount < 0n ? -amount : amount;
  const whole = (size / NANO).toString().replace(/\B(?=(\d{3})+$)/g, ",");
  const fraction = (size % NANO).toString().padStart(9, "0");
  return [`${amount < 0n ? "-" : ""}$${whole}.${fraction.slice(0, 2)}`, fraction.slice(2).replace(/0+$/, "")];
}
