{#
    The attributes whose history is kept, as `entity.field`: what a deal, its account or its lead
    was at any time. Declared here once; a new one is added here and to the sources it comes from.
#}
{% macro tracked_attributes() -%}
    deal.seller_id deal.segment deal.source deal.business_area deal.amount deal.currency
    deal.pipeline_id deal.expected_close_on deal.account_id
    account.segment
    lead.seller_id lead.segment lead.source
{%- endmacro %}
