import trio

import triojob


async def main() -> None:
    diagnosis = await triojob.diagnose(
        "http://127.0.0.1:7860",
        call=lambda client: client.predict("Ada", api_name="/greet"),  # only if you want one
    )
    for finding in diagnosis.problems:
        print(f"{finding.severity} {finding.code}: {finding.saw}")
        for remedy in finding.remedies:
            print(f"  {remedy.side}: {remedy.change}")


trio.run(main)
