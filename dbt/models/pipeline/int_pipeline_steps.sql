{#
    The order in which a deal's change is told, and whether its value goes out of the pipeline's
    cell (-1), comes into it (1) or changes within it (0).
#}
select
    cast(1 as bigint) as step_number,
    'value' as step,
    cast(0 as bigint) as direction
union all
select
    cast(2 as bigint) as step_number,
    'rate' as step,
    cast(0 as bigint) as direction
union all
select
    cast(3 as bigint) as step_number,
    'currency' as step,
    cast(-1 as bigint) as direction
union all
select
    cast(4 as bigint) as step_number,
    'currency' as step,
    cast(1 as bigint) as direction
union all
select
    cast(5 as bigint) as step_number,
    'owner' as step,
    cast(-1 as bigint) as direction
union all
select
    cast(6 as bigint) as step_number,
    'owner' as step,
    cast(1 as bigint) as direction
union all
select
    cast(7 as bigint) as step_number,
    'class' as step,
    cast(-1 as bigint) as direction
union all
select
    cast(8 as bigint) as step_number,
    'class' as step,
    cast(1 as bigint) as direction
union all
select
    cast(9 as bigint) as step_number,
    'pipeline' as step,
    cast(-1 as bigint) as direction
union all
select
    cast(10 as bigint) as step_number,
    'pipeline' as step,
    cast(1 as bigint) as direction
union all
select
    cast(11 as bigint) as step_number,
    'quarter' as step,
    cast(-1 as bigint) as direction
union all
select
    cast(12 as bigint) as step_number,
    'quarter' as step,
    cast(1 as bigint) as direction
union all
select
    cast(13 as bigint) as step_number,
    'entry' as step,
    cast(1 as bigint) as direction
union all
select
    cast(14 as bigint) as step_number,
    'exit' as step,
    cast(-1 as bigint) as direction
