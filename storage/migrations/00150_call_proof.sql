-- +goose Up
-- What a caller made of the question that tells people from machines while the hotline defends itself; empty: they were not asked.
ALTER TABLE call ADD COLUMN proof TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE call DROP COLUMN proof;
