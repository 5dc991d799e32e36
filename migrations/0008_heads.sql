-- A shard's head is the position of its last event, found by the index. A column for it would be updated by every append: while
-- any transaction of the server stays open that has written something, no old version of such a row can be cleared away, and each
-- update has to pass over all of them (docs/adr/0024).
create view heads as
    select s.shard, coalesce((select e.pos from events e where e.shard = s.shard order by e.pos desc limit 1), 0) as head
    from shards s;

grant select on heads to bestchat_worker, bestchat_projector, bestchat_edge;

-- Whoever appends locks the shard's row; what keeps positions right is that each is there once.
create or replace function assign_position() returns trigger language plpgsql as $$
begin
    new.shard := shard_of(new.aggregate_id);
    perform from shards where shard = new.shard for no key update;
    -- A statement of its own, which sees what was committed while it waited.
    select head + 1 into new.pos from heads where shard = new.shard;
    -- Whoever waits for the shard would else bring a time from before the wait.
    new.recorded_at := clock_timestamp();
    return new;
end
$$;

alter table shards drop column head;
