{# Fails with the rows for which `expression` is not true; null counts as not true. #}
{% test expression_is_true(model, expression) %}
{# Not all columns: of a view they would all be derived. #}
select 1 as is_broken
from {{ model }}
where not coalesce({{ expression }}, false)
{% endtest %}
