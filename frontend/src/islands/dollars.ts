const NANO = 1_000_000_000n;

/** Nano-dollars in full: 1234567 is "$0.001234567". The same rule as store.ledger.dollars. */
export function dollars(nano: number | bigint): string {
  const amount = BigInt(nano);
  const size = amount < 0n ? -amount : amount;
  const whole = (size / NANO).toString().replace(/\B(?=(\d{3})+$)/g, ",");
  const fraction = (size % NANO).toString().padStart(9, "0").replace(/0+$/, "").padEnd(2, "0");
  return `${amount < 0n ? "-" : ""}$${whole}.${fraction}`;
}
