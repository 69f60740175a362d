{#
    Units as first assigned, and what became of each within the window. Of what no export tells of
    the unit, or of this kind of unit, the outcome is unknown, not none.
#}
with

run as (
    select * from {{ ref('stg_run') }}
),

experiments as (
    select * from {{ ref('dim_experiments') }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by experiment_id, unit_id
            order by assigned_at asc, known_at asc, made_number asc, record_number asc
        ) as assignment_rank,
        count(*) over (partition by experiment_id, unit_id, variant) as n_alike,
        count(*) over (partition by experiment_id, unit_id) as n_assignments
    from {{ ref('stg_assignments') }}
),

known_units as (
    select
        'account' as unit,
        account_id as unit_id,
        account_id
    from {{ ref('dim_accounts') }}
    union all
    select
        'contact' as unit,
        contact_id as unit_id,
        account_id
    from {{ ref('int_contacts') }}
    union all
    select
        'deal' as unit,
        deal_id as unit_id,
        account_id
    from {{ ref('dim_deals') }}
    union all
    select
        'lead' as unit,
        lead_id as unit_id,
        cast(null as string) as account_id
    from {{ ref('int_journeys') }}
    where lead_id is not null
    union all
    select
        'seller' as unit,
        seller_id as unit_id,
        cast(null as string) as account_id
    from {{ ref('dim_sellers') }}
    union all
    {# People and companies that only a log names. #}
    select
        'account' as unit,
        account_id as unit_id,
        account_id
    from {{ ref('int_activity_details') }}
    union all
    select
        'contact' as unit,
        contact_id as unit_id,
        account_id
    from {{ ref('int_activity_details') }}
),

units as (
    select
        known_units.unit,
        known_units.unit_id,
        max(known_units.account_id) as account_id
    from known_units
    inner join ranked on known_units.unit_id = ranked.unit_id
    group by known_units.unit, known_units.unit_id
),

{# What an outcome is an event of, how far such are told, and of whom. #}
outcomes as (
    select
        told.outcome_id,
        told.event,
        told.type,
        told.is_told_of_contacts
    from (
        values
        ('meeting_held', 'meeting_held', 'meeting', true),
        ('meeting_booked', 'meeting_held', 'meeting', true),
        ('meeting_booked', 'meeting_booked', 'meeting', true),
        ('signup', 'signup', 'signup', true),
        ('deal_created', 'deal_created', 'deal', false),
        ('deal_won', 'deal_won', 'deal', false),
        ('amount_won', 'deal_won', 'deal', false)
    ) as told (outcome_id, event, type, is_told_of_contacts)
),

followed as (
    select
        outcomes.outcome_id,
        outcomes.is_told_of_contacts,
        min({{ as_seconds('followed.until_at') }}) as until_s
    from outcomes
    left join {{ ref('int_followed_until') }} as followed on outcomes.type = followed.type
    group by outcomes.outcome_id, outcomes.is_told_of_contacts
),

assigned as (
    select
        ranked.experiment_id,
        ranked.unit_id,
        coalesce(ranked.account_id, units.account_id) as account_id,
        ranked.variant,
        ranked.assigned_at,
        ranked.n_alike < ranked.n_assignments as is_reassigned,
        {{ as_seconds('ranked.assigned_at') }} as assigned_s,
        experiments.unit,
        experiments.primary_outcome as outcome_id,
        experiments.window_days,
        followed.until_s,
        case
            when experiments.experiment_id is null then 'undeclared_experiment'
            when followed.outcome_id is null or experiments.window_days is null
                then 'undeclared_outcome'
            when
                experiments.unit is null
                or (experiments.unit = 'contact' and not followed.is_told_of_contacts)
                then 'not_told_of_such_units'
            when units.unit_id is null then 'unknown_unit'
        end as reason
    from ranked
    left join experiments on ranked.experiment_id = experiments.experiment_id
    left join units on experiments.unit = units.unit and ranked.unit_id = units.unit_id
    left join followed on experiments.primary_outcome = followed.outcome_id
    where ranked.assignment_rank = 1
),

events as (
    select
        assigned.experiment_id,
        assigned.unit_id,
        events.event,
        events.at_s - assigned.assigned_s as seconds_after,
        events.amount_base,
        86400 * assigned.window_days as window_s,
        outcomes.outcome_id is not null as is_outcome
    from assigned
    inner join {{ ref('int_experiment_events') }} as events
        on assigned.unit = events.unit and assigned.unit_id = events.unit_id
    left join outcomes
        on assigned.outcome_id = outcomes.outcome_id and events.event = outcomes.event
    where events.at_s - assigned.assigned_s > -31536000
),

counted as (
    select
        experiment_id,
        unit_id,
        sum(case when is_outcome and seconds_after between 1 and window_s then 1 else 0 end)
            as n_after,
        sum(
            case when is_outcome and seconds_after between 1 and window_s then amount_base end
        ) as amount_after,
        sum(
            case
                when
                    is_outcome and seconds_after between 1 and window_s and amount_base is null
                    then 1
                else 0
            end
        ) as n_without_amount,
        sum(case when is_outcome and seconds_after <= 0 then 1 else 0 end) as n_before,
        sum(
            case
                when
                    event in ('contact', 'meeting_held')
                    and seconds_after between -7776000 and 0
                    then 1
                else 0
            end
        ) as n_contacts_before
    from events
    group by experiment_id, unit_id
),

told as (
    select
        assigned.*,
        coalesce(counted.n_after, 0) as n_after,
        counted.amount_after,
        coalesce(counted.n_before, 0) as n_before,
        coalesce(counted.n_contacts_before, 0) as n_contacts_before,
        coalesce(
            assigned.reason,
            case
                when assigned.outcome_id = 'amount_won' and counted.n_without_amount > 0
                    then 'amount_unknown'
            end
        ) as reason_unknown
    from assigned
    left join counted
        on
            assigned.experiment_id = counted.experiment_id
            and assigned.unit_id = counted.unit_id
)

select
    told.experiment_id,
    told.unit_id,
    told.account_id,
    told.variant,
    told.assigned_at,
    told.unit,
    told.outcome_id,
    told.window_days,
    told.is_reassigned,
    coalesce(told.assigned_s + 86400 * told.window_days <= told.until_s, false) as is_followed,
    case
        when told.reason_unknown is not null then null
        when told.outcome_id = 'amount_won'
            then cast(coalesce(told.amount_after, 0) as decimal(18, 2))
        when told.unit = 'seller' then cast(told.n_after as decimal(18, 2))
        else cast(least(told.n_after, 1) as decimal(18, 2))
    end as outcome,
    cast(told.n_before as bigint) as n_outcomes_before,
    cast(told.n_contacts_before as bigint) as n_contacts_before,
    told.reason_unknown as reason,
    run.as_of
from told
cross join run
