{# Part of the definition of every conversion figure, so here and not in a run's settings. #}
select cast(30 as bigint) as horizon_days
union all
select cast(90 as bigint) as horizon_days
union all
select cast(180 as bigint) as horizon_days
union all
select cast(365 as bigint) as horizon_days
