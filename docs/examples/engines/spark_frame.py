import sys

from pyspark.sql import SparkSession

from triojob.bulk import BatchCaller

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"

spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
names = spark.createDataFrame([(f"person {n}",) for n in range(200)], "name string")
caller = BatchCaller(URL, "/greet", limit=16)
greeted = names.mapInPandas(caller.in_pandas, "name string, result string, error string")
done = greeted.collect()
print(sum(row.error is not None for row in done), "errors in", len(done), "rows")
print(done[-1].result)
spark.stop()

# prints:
# > 0 errors in 200 rows
# > Hello person 199!
