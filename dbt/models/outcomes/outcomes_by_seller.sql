{{ outcome_counts('seller_id') }}
