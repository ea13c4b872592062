"""The three ways in to a run: by hand or a crontab line, a worker, a trial on a copy; and what
keeps all of them from running. It may import everything below the commands.
"""
