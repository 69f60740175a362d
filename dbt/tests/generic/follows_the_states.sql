{#
-- sqlfluff:exclude_rules:LT02
#}
{# Fails with each state of a deal that its changes so far do not come to. #}
{% test follows_the_states(model, states) %}
{%- set sums = ['n_deals', 'amount', 'amount_base', 'n_without_amount', 'n_unconverted'] -%}
select *
from (
    select
        states.deal_id,
        states.state_number,
        states.is_open,
        states.amount as state_amount,
        states.amount_base as state_amount_base,
        {% for column in sums -%}
            sum(coalesce(changes.{{ column }}, 0)) over (
                partition by states.deal_id order by states.state_number
                rows between unbounded preceding and current row
            ) as {{ column }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ states }} as states
    left join (
        select
            deal_id,
            change_number,
            {% for column in sums -%}
                sum({{ column }}) as {{ column }}{{ ',' if not loop.last }}
            {% endfor %}
        from {{ model }}
        group by deal_id, change_number
    ) as changes
        on states.deal_id = changes.deal_id and states.state_number = changes.change_number
) as followed
where
    n_deals <> case when is_open then 1 else 0 end
    or amount <> case when is_open then coalesce(state_amount, 0) else 0 end
    or amount_base <> case when is_open then coalesce(state_amount_base, 0) else 0 end
    or n_without_amount <> case when is_open and state_amount is null then 1 else 0 end
    or n_unconverted <> case
        when is_open and state_amount is not null and state_amount_base is null then 1
        else 0
    end
{% endtest %}
