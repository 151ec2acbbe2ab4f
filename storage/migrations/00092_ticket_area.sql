-- +goose Up

-- The divisions of the city as data: districts, streets, communities, with how many people live there by group. Communities
-- are found in the words of tickets (W4), and who stays silent is told by them (SIL-1).
CREATE TABLE ticket_area (
	code       TEXT   PRIMARY KEY, -- of the public division code
	parent     TEXT   NOT NULL,    -- street of a community, district of a street
	level      BIGINT NOT NULL,    -- 1 district, 2 street, 3 community
	name       TEXT   NOT NULL,
	words      TEXT   NOT NULL,    -- other names, separated by blanks
	changed_at BIGINT NOT NULL
);
CREATE INDEX ticket_area_changed ON ticket_area (changed_at);

CREATE TABLE ticket_population (
	area      TEXT   NOT NULL REFERENCES ticket_area (code),
	band      TEXT   NOT NULL,     -- '' all, or an age band: 0-15, 16-29, 30-44, 45-59, 60+
	residents BIGINT NOT NULL,
	source    TEXT   NOT NULL,     -- where the number is from, and of which year
	PRIMARY KEY (area, band)
);

ALTER TABLE ticket ADD COLUMN community TEXT NOT NULL DEFAULT ''; -- code, as the words tell or a person said
CREATE INDEX ticket_by_community ON ticket (community, opened_at) WHERE community <> '';

-- +goose Down
DROP INDEX ticket_by_community;
DROP TABLE ticket_population;
DROP TABLE ticket_area;
