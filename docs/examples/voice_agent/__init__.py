"""A voice agent that talks: microphone, detection, recognition, language model, voice, sound card.

Start reading at ``conversation.py``: it has the two pipelines and the barge-in. Every
other module is one part with one rule; none of the stages knows of pipelines.
"""
