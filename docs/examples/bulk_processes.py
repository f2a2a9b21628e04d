from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from triojob.bulk import BatchCaller

URL = "http://127.0.0.1:7860"

if __name__ == "__main__":  # because each process imports this file
    caller = BatchCaller(URL, "/greet")
    batches = [{"name": [f"Ada {number}", f"Grace {number}"]} for number in range(4)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for done in pool.map(caller, batches):
            print(done["result"])

# prints:
# > ['Hello Ada 0!', 'Hello Grace 0!']
# > ['Hello Ada 1!', 'Hello Grace 1!']
# > ['Hello Ada 2!', 'Hello Grace 2!']
# > ['Hello Ada 3!', 'Hello Grace 3!']
