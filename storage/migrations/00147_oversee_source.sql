-- +goose Up
-- Codes of campaigns: each place of an outreach has one of its own, printed as a QR code.
CREATE TABLE oversee_point (
	code      TEXT PRIMARY KEY,
	matter_id TEXT NOT NULL REFERENCES oversee_matter (id)
);
CREATE INDEX oversee_point_matter ON oversee_point (matter_id);

-- Which tickets came by a code. It stays when the ticket's words are erased: it tells of no person.
CREATE TABLE oversee_arrival (
	ticket_id TEXT   PRIMARY KEY REFERENCES ticket (id),
	code      TEXT   NOT NULL REFERENCES oversee_point (code),
	at        BIGINT NOT NULL
);
CREATE INDEX oversee_arrival_code ON oversee_arrival (code, at);

-- +goose Down
DROP TABLE oversee_arrival;
DROP TABLE oversee_point;
