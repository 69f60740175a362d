{#
    Each journey's first entry into an open stage and into a pipeline: what conversion counts.
    Renewals, which are no new business, and what was merged into another journey are left out.
#}
with

periods as (
    select * from {{ ref('int_stage_periods') }}
),

merged as (
    select distinct journey_id
    from {{ ref('fct_stage_transitions') }}
    where move_kind = 'merge'
),

visits as (
    select
        *,
        row_number() over (
            partition by journey_id, pipeline_id, role order by visit_number
        ) as entry_into_role
    from {{ ref('fct_stage_visits') }}
    where is_first_visit and stage_kind = 'open'
),

{# Into a pipeline a journey comes with its first move there, whichever stage that is into. #}
first_moves as (
    select
        moves.*,
        moves.to_stage_id is null or coalesce(periods.stage_kind = 'open', false) as is_open,
        row_number() over (
            partition by moves.journey_id, moves.to_pipeline_id order by moves.move_number
        ) as move_into_pipeline
    from {{ ref('fct_stage_transitions') }} as moves
    left join periods
        on
            moves.to_pipeline_id = periods.pipeline_id
            and moves.to_stage_id = periods.stage_id
            and {{ valid_on('periods', 'moves.occurred_on') }}
    where moves.move_kind not in ('delete', 'merge', 'convert') and not moves.is_mistake
),

entries as (
    select
        journey_id,
        visit_number,
        record_type,
        deal_id,
        lead_id,
        deal_type,
        pipeline_id,
        stage_id,
        role,
        entry_into_role,
        entered_at,
        entered_at_earliest,
        entered_on,
        fidelity
    from visits
    union all
    select
        journey_id,
        move_number as visit_number,
        record_type,
        deal_id,
        lead_id,
        deal_type,
        to_pipeline_id as pipeline_id,
        cast(null as string) as stage_id,
        cast(null as string) as role,
        cast(null as bigint) as entry_into_role,
        occurred_at as entered_at,
        occurred_at_earliest as entered_at_earliest,
        occurred_on as entered_on,
        fidelity
    from first_moves
    where move_into_pipeline = 1 and is_open
)

select
    entries.*,
    entries.stage_id is null as is_into_pipeline,
    {{ system_of("case when entries.record_type = 'lead' then lead_id else deal_id end") }}
        as system_id,
    periods.stage_rank
from entries
left join merged on entries.journey_id = merged.journey_id
left join periods
    on
        entries.pipeline_id = periods.pipeline_id
        and entries.stage_id = periods.stage_id
        and {{ valid_on('periods', 'entries.entered_on') }}
where coalesce(entries.deal_type <> 'renewal', true) and merged.journey_id is null
