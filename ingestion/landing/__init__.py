"""Landing: inbox files to the archive, and from there, exactly once by content, to typed Parquet.

`deciding` is the door.
Does not belong here: which mapping a file is for (`recognition`), reading it (`readers`), who may
run (the lease).

archive/<sha256>        the bytes as they came, copied before any parser sees them
archive/<sha256>.json   the receipt: names it came under, when it was known, what recognised it
landed/<load_id>/       one load: <table>.parquet, rejects.parquet, manifest.json
landed/last_report.json what became of each file of the last pass
"""
