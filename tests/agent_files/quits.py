"""An agent that never comes to an answer."""


class Quitter:
    name = "quits"
    max_steps = 1
    is_continuable = False
    is_idempotent = False

    async def run(self, history, *, confirm, resume=None):
        for step in ():
            yield step


agent = Quitter()
