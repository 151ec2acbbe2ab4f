-- +goose Up
-- How often what an open alert is about happened again, and when last: it is counted there and not raised anew.
ALTER TABLE ticket_alert ADD COLUMN times BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ticket_alert ADD COLUMN again_at BIGINT;
CREATE INDEX ticket_alert_about ON ticket_alert (rule, subject);

-- +goose Down
DROP INDEX ticket_alert_about;
ALTER TABLE ticket_alert DROP COLUMN again_at;
ALTER TABLE ticket_alert DROP COLUMN times;
