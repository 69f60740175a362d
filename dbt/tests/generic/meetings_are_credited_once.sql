{# Fails with each meeting that two attempts of a type are credited with. #}
{% test meetings_are_credited_once(model) %}
select
    type,
    held_meeting_id as meeting_id
from {{ model }}
where held_meeting_id is not null
group by type, held_meeting_id
having count(*) > 1
union all
select
    type,
    booked_meeting_id as meeting_id
from {{ model }}
where booked_meeting_id is not null
group by type, booked_meeting_id
having count(*) > 1
{% endtest %}
