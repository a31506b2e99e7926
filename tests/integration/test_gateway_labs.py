from tests.support.gateway import *
async def test_try(tmp_path):
    async with running(tmp_path) as gateway:
        lab = await gateway.new_lab()
        s = await lab.submit(archive())
        print(s)
        s = await lab.when(s.submission_id, pb.SUBMISSION_STATE_QUEUED)
        print(s)
        print(await lab.results(s.submission_id))
