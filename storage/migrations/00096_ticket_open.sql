-- +goose Up

-- The open tickets alone, with all that lists and figures ask of them: in a store of a million, of which some ten thousands
-- are open, these are counted and put in order without looking at the tickets themselves.
CREATE INDEX ticket_open ON ticket (due_at, id, state, colour, restricted, accused_staff, accused_unit) WHERE due_at IS NOT NULL;
DROP INDEX ticket_due;

-- A unit's tickets, without looking at its legs themselves.
CREATE INDEX ticket_leg_of ON ticket_leg (unit, ticket_id);

-- What the sweeper asks for every half minute: clocks that run, suspensions, answers that wait for their rating, and what
-- was settled and is not yet put away. All are few among many.
CREATE INDEX ticket_clock_due ON ticket_clock (next_at, ticket_id) WHERE next_at IS NOT NULL;
DROP INDEX ticket_clock_next;
CREATE INDEX ticket_clock_suspended ON ticket_clock (due_at, ticket_id) WHERE kind = 'suspend' AND state = 'running';
CREATE INDEX ticket_clock_most ON ticket_clock (most_at) WHERE state = 'running' AND most_at IS NOT NULL;
CREATE INDEX ticket_clock_red ON ticket_clock (red_at) WHERE state = 'running' AND red_at IS NOT NULL;
CREATE INDEX ticket_answered ON ticket (id) WHERE state IN ('REPLIED', 'ANSWERED');
CREATE INDEX ticket_settled ON ticket (closed_at, id) WHERE state = 'CLOSED';
CREATE INDEX ticket_reworked ON ticket (round) WHERE round >= 2;
CREATE INDEX ticket_returned ON ticket (returns) WHERE returns > 0;

-- +goose Down
DROP INDEX ticket_returned;
DROP INDEX ticket_reworked;
DROP INDEX ticket_settled;
DROP INDEX ticket_answered;
DROP INDEX ticket_clock_red;
DROP INDEX ticket_clock_most;
DROP INDEX ticket_clock_suspended;
CREATE INDEX ticket_clock_next ON ticket_clock (next_at);
DROP INDEX ticket_clock_due;
DROP INDEX ticket_leg_of;
CREATE INDEX ticket_due ON ticket (due_at, id);
DROP INDEX ticket_open;
