"""The arithmetic of ``ledger.shares`` once more, in SQL, for what looks at many charges together: audits and figures."""

from __future__ import annotations

from store.ledger.pricing import PPM

# What ``shares.split`` gives as royalties, (organization_id, amount), for a charge ``r.charge_nano`` and its plan ``s``.
ROYALTIES = f"""
SELECT due.organization_id, greatest(least(due.amount, c.room - due.nearer), 0) AS amount
FROM (SELECT p.rest, div(p.rest * s.cap_ppm, {PPM}) AS room
      FROM (SELECT r.charge_nano - div(r.charge_nano::numeric * s.commission_ppm, {PPM}) AS rest) AS p) AS c
CROSS JOIN LATERAL (
    SELECT organization_id, amount, sum(amount) OVER (ORDER BY place) - amount AS nearer
    FROM (SELECT o.id AS organization_id, o.place, div(r.charge_nano::numeric * o.ppm, {PPM}) AS amount
          FROM unnest(s.royalty_organizations, s.royalty_ppms) WITH ORDINALITY AS o(id, ppm, place)) AS each) AS due
UNION ALL
SELECT s.rest_id, c.rest - least(c.room, coalesce((
    SELECT sum(div(r.charge_nano::numeric * o.ppm, {PPM})) FROM unnest(s.royalty_ppms) AS o(ppm)), 0))
FROM (SELECT p.rest, div(p.rest * s.cap_ppm, {PPM}) AS room
      FROM (SELECT r.charge_nano - div(r.charge_nano::numeric * s.commission_ppm, {PPM}) AS rest) AS p) AS c
WHERE s.rest_is_royalty
"""
