-- +goose Up

-- 警情 as the command centre tells them: where, when, of what kind, and the keyed hash of the number that called. Nothing of
-- any person stands here in the open. Laid beside tickets they show where both speak of one thing (双情).
CREATE TABLE oversee_incident (
	number      TEXT   PRIMARY KEY, -- 警情号
	at          BIGINT NOT NULL,
	kind        TEXT   NOT NULL,    -- as the source tells it
	domain      TEXT   NOT NULL,    -- first level of the classes of tickets
	place       TEXT   NOT NULL,    -- numbers masked
	community   TEXT   NOT NULL,    -- code of ticket_area, '' unknown
	unit        TEXT   NOT NULL,    -- unit id, '' unknown
	phone_hash  TEXT   NOT NULL,
	imported_at BIGINT NOT NULL
);
CREATE INDEX oversee_incident_at ON oversee_incident (at);
CREATE INDEX oversee_incident_phone ON oversee_incident (phone_hash) WHERE phone_hash <> '';
CREATE INDEX ticket_by_incident ON ticket (incident_no) WHERE incident_no <> '';
CREATE INDEX oversee_incident_community ON oversee_incident (community, at) WHERE community <> '';

-- +goose Down
DROP INDEX ticket_by_incident;
DROP TABLE oversee_incident;
