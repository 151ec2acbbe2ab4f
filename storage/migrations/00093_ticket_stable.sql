-- +goose Up
ALTER TABLE ticket ADD COLUMN stable_until BIGINT; -- held stable by a plan until the next look

-- +goose Down
ALTER TABLE ticket DROP COLUMN stable_until;
