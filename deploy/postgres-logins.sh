#!/bin/sh
# Gives each role of BestChat a login of its own: one that is a member of that role alone, so that whoever takes the
# process over cannot become another. Run it as a superuser, before or after `bestchat migrate`; run again, it sets the
# passwords anew. They come from WORKER_DB_PASSWORD, PROJECTOR_DB_PASSWORD and EDGE_DB_PASSWORD, the server from what
# psql always looks at (PGHOST, PGPORT, PGPASSWORD).
#
# docker-compose.yml has the image of Postgres run it over a new volume.
set -eu
: "${WORKER_DB_PASSWORD:?is not set}" "${PROJECTOR_DB_PASSWORD:?is not set}" "${EDGE_DB_PASSWORD:?is not set}"

# The passwords are read inside, for a command line is there for everyone to see.
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv worker WORKER_DB_PASSWORD
\getenv projector PROJECTOR_DB_PASSWORD
\getenv edge EDGE_DB_PASSWORD
create temporary table wanted as
    select 'bestchat_' || name as role, 'bestchat_' || name || '_login' as login, password
    from (values ('worker', :'worker'), ('projector', :'projector'), ('edge', :'edge')) as given(name, password);
select format('create role %I nologin', role) from wanted
    where not exists (select from pg_roles where rolname = role) \gexec
select format('create role %I login in role %I', login, role) from wanted
    where not exists (select from pg_roles where rolname = login) \gexec
select format('alter role %I password %L', login, password) from wanted \gexec
SQL
