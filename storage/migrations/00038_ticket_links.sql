-- +goose Up

-- Few tickets repeat another or are merged: an index over these alone is small, and no statistics talk a planner out of it.
CREATE INDEX ticket_repeats ON ticket (repeat_of) WHERE repeat_of <> '';
CREATE INDEX ticket_merges ON ticket (merged_into) WHERE merged_into <> '';
DROP INDEX ticket_repeat;
DROP INDEX ticket_merged;

-- +goose Down
DROP INDEX ticket_merges;
DROP INDEX ticket_repeats;
