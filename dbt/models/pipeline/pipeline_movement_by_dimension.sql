with

periods as (
    select * from {{ ref('dim_periods') }}
),

changes as (
    {{ by_dimension(
        ref('fct_pipeline_changes'),
        ['seller_id', 'segment', 'business_area', 'source', 'pipeline_id', 'close_quarter_on'],
        ['currency', 'movement', 'occurred_on', 'is_without_amount', 'is_unconverted'],
        {
            'n_deals': 'sum(n_deals)',
            'amount': 'sum(amount)',
            'amount_base': 'sum(amount_base)',
            'n_without_amount': 'sum(n_without_amount)',
            'n_unconverted': 'sum(n_unconverted)',
            'n_changes': 'count(*)',
        }
    ) }}
),

{{ stock_and_flow('changes', ['dimension', 'dimension_value', 'currency']) }}
