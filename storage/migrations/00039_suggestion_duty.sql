-- +goose Up

-- The entry of the 职责清单 (a consultation's binding conclusion) that a suggested unit follows; empty: place and duty of the unit.
ALTER TABLE ticket_suggestion ADD COLUMN duty TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE ticket_suggestion DROP COLUMN duty;
