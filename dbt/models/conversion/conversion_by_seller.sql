{{ conversion_counts('seller_id') }}
