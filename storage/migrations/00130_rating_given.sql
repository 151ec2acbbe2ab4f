-- +goose Up
-- A rating as it was given, beside what it was folded to: the scale that was asked on, and the value on that scale.
ALTER TABLE ticket_rating ADD COLUMN scale TEXT NOT NULL DEFAULT '';
ALTER TABLE ticket_rating ADD COLUMN given TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE ticket_rating DROP COLUMN given;
ALTER TABLE ticket_rating DROP COLUMN scale;
