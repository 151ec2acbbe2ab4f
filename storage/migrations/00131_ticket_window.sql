-- +goose Up
-- The window and the clerk's number that a request is about, where its source tells them (W9).
ALTER TABLE ticket ADD COLUMN window_no TEXT NOT NULL DEFAULT '';
ALTER TABLE ticket ADD COLUMN clerk_no TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE ticket DROP COLUMN clerk_no;
ALTER TABLE ticket DROP COLUMN window_no;
