"""placeholder until the renderer lands"""
def text_frame(world, state, b): return ""
def frame(world, state, b): return None
