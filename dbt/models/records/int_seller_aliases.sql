{#
    Every way that exports name an owner or who was active, and whom it means: an id, or a name in any spelling. A
    name that two sellers of a system share means neither. Ids have digits, and are not folded. Who was
    only active in a system that lists no sellers is whom one other system lists by that name.
#}
with

sellers as (
    select * from {{ ref('int_sellers') }}
),

named as (
    select
        seller_id as alias_id,
        'deal' as record_type,
        deal_id as record_id
    from {{ ref('stg_deals') }}
    union all
    select
        seller_id as alias_id,
        'lead' as record_type,
        lead_id as record_id
    from {{ ref('stg_leads') }}
    union all
    select
        old_value as alias_id,
        'deal' as record_type,
        deal_id as record_id
    from {{ ref('stg_deal_changes') }}
    where field = 'seller_id'
    union all
    select
        new_value as alias_id,
        'deal' as record_type,
        deal_id as record_id
    from {{ ref('stg_deal_changes') }}
    where field = 'seller_id'
    union all
    select
        seller_id as alias_id,
        'deal' as record_type,
        deal_id as record_id
    from {{ ref('stg_deal_credits') }}
    union all
    select
        seller_id as alias_id,
        'activity' as record_type,
        activity_id as record_id
    from {{ ref('stg_activities') }}
    union all
    select
        sender_id as alias_id,
        'activity' as record_type,
        activity_id as record_id
    from {{ ref('stg_activities') }}
),

counted as (
    select
        alias_id,
        count(
            distinct case when record_type <> 'activity' then record_type || ' ' || record_id end
        ) as n_records
    from named
    where alias_id is not null
    group by alias_id
),

aliases as (
    select
        coalesce(counted.alias_id, sellers.seller_id) as alias_id,
        coalesce(counted.n_records, 0) as n_records,
        sellers.seller_id,
        case
            when translate(counted.alias_id, '0123456789', '') = counted.alias_id
                then lower(counted.alias_id)
            else counted.alias_id
        end as folded_id
    from counted
    full outer join sellers on counted.alias_id = sellers.seller_id
),

names as (
    select
        lower({{ system_of('seller_id') }} || ':' || trim(name)) as folded_id,
        min(seller_id) as seller_id,
        count(*) as n_sellers
    from sellers
    where name is not null
    group by lower({{ system_of('seller_id') }} || ':' || trim(name))
),

{# A log of calls names people whom another system lists. #}
names_anywhere as (
    select
        lower(trim(name)) as folded_name,
        min(seller_id) as seller_id
    from sellers
    where name is not null
    group by lower(trim(name))
    having count(*) = 1
),

systems as (
    select distinct {{ system_of('seller_id') }} as system
    from sellers
),

{% set name = without_system('alias_id') %}
{# Whom no list of sellers names is called as most exports do. #}
spellings as (
    select
        *,
        first_value(alias_id) over (
            partition by folded_id
            order by
                n_records desc,
                {{ name }} in (upper({{ name }}), lower({{ name }})) asc,
                alias_id asc
        ) as commonest_id
    from aliases
    where seller_id is null
)

select
    alias_id,
    seller_id,
    n_records,
    cast(null as string) as reason
from aliases
where seller_id is not null
union all
select
    spellings.alias_id,
    case
        when names.n_sellers > 1 then null
        else coalesce(names.seller_id, names_anywhere.seller_id, spellings.commonest_id)
    end as seller_id,
    spellings.n_records,
    case
        when names.n_sellers > 1 then 'shared_name'
        when names.n_sellers = 1 or names_anywhere.seller_id is not null then 'name_of_seller'
        when spellings.alias_id <> spellings.commonest_id then 'other_spelling'
    end as reason
from spellings
left join names on lower(spellings.alias_id) = names.folded_id
left join systems on {{ system_of('spellings.alias_id') }} = systems.system
left join names_anywhere
    on
        systems.system is null
        and spellings.n_records = 0
        and lower({{ without_system('spellings.alias_id') }}) = names_anywhere.folded_name
