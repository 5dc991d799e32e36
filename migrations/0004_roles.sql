-- What each part of the system may do in the database. A process logs in as any member of its role and acts as the role.

do $$
declare
    name text;
begin
    foreach name in array array['bestchat_worker', 'bestchat_projector', 'bestchat_edge'] loop
        -- Roles belong to the whole server: another database's migration may create them at this very moment.
        begin
            if not exists (select from pg_roles where rolname = name) then
                execute format('create role %I nologin', name);
            end if;
            if not pg_has_role(current_user, name, 'member') then
                execute format('grant %I to %I', name, current_user);
            end if;
        exception when duplicate_object or unique_violation or internal_error then
            null;
        end;
    end loop;
end
$$;

create function grant_view(view text) returns void language plpgsql as $$
begin
    execute format('grant usage on schema %I to bestchat_projector, bestchat_edge', view);
    execute format('grant select, insert, update, delete on all tables in schema %I to bestchat_projector', view);
    execute format('grant select on all tables in schema %I to bestchat_edge', view);
end
$$;

select grant_view('conversation_list'), grant_view('transcript');

grant select on events, shards, checkpoints to bestchat_worker, bestchat_projector, bestchat_edge;
grant insert on events to bestchat_worker;
grant update on shards to bestchat_worker;
grant select, insert, update, delete on processes, leases, dead_letters to bestchat_worker, bestchat_projector;
grant insert, update on checkpoints to bestchat_worker, bestchat_projector;
grant select, insert, update, delete on snapshots, open_replies to bestchat_worker;
grant select on processes, leases, dead_letters to bestchat_edge;
