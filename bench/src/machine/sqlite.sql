create temp table started(at);
insert into started values (julianday('now'));
create table person(id integer primary key, name text, age integer);
create table visit(person integer, place text, day integer);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)
insert into person select i, 'person ' || hex(i * 7919), i % 97 from n;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)
insert into visit select i * 31 % 2000 + 1, 'place ' || (i % 50), i % 365 from n;
commit;
create index visit_person on visit(person);
create index visit_place on visit(place, day);
select count(*), sum(age), max(name) from person join visit on visit.person = person.id where age between 20 and 40;
select place, count(*) from visit group by place order by 2 desc, 1 limit 5;
update person set name = upper(name) || '!' where id % 3 = 0;
delete from visit where day < 100;
vacuum;
pragma integrity_check;
select printf('seconds %.3f', (julianday('now') - at) * 86400) from started;
