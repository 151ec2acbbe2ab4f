-- +goose Up
-- The words of an alert, often those of somebody in danger: the text as shown, sealed; shown is then ''. Alerts from before
-- are sealed when the server starts.
ALTER TABLE ticket_text ADD COLUMN words BYTEA;

-- +goose Down
ALTER TABLE ticket_text DROP COLUMN words;
