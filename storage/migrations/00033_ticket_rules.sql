-- +goose Up

-- Rule sets that were decided on: in force from their effective day until a later one is.
ALTER TABLE ticket_rules ADD COLUMN published_at BIGINT;
ALTER TABLE ticket_rules ADD COLUMN published_by TEXT NOT NULL DEFAULT '';
ALTER TABLE ticket_rules ADD COLUMN note TEXT NOT NULL DEFAULT '';

-- Years of the State Council's calendar that came after the program was built.
CREATE TABLE calendar_year (
	year     BIGINT PRIMARY KEY,
	body     TEXT   NOT NULL, -- the file in the format of holiday-cn
	added_by TEXT   NOT NULL,
	added_at BIGINT NOT NULL
);

-- Lists begin at an end of an index instead of sorting the whole table.
CREATE INDEX ticket_newest ON ticket (opened_at, id);
DROP INDEX ticket_opened;
CREATE INDEX ticket_changed ON ticket (changed_at, id);
CREATE INDEX ticket_due ON ticket (due_at, id);
CREATE INDEX ticket_repeat ON ticket (repeat_of);
CREATE INDEX ticket_colour ON ticket (colour, state);
CREATE INDEX ticket_channel_newest ON ticket (channel, opened_at);
CREATE INDEX ticket_queue ON ticket (queue, due_at);
CREATE INDEX ticket_closed ON ticket (state, closed_at);

-- +goose Down
DROP TABLE calendar_year;
