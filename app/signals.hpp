#pragma once

namespace convt3d::app {

/// From now on SIGINT, SIGTERM and SIGHUP only set a flag, so that the run can end by itself and clean up. SIGPIPE
/// and SIGXFSZ are ignored, so that a closed pipe and a file over the limit are errors of writing. A SIGHUP that the parent
/// ignores (nohup) stays ignored.
void install_signal_handlers();

/// The signal that asked to stop; 0 while none has.
int stop_signal();

}  // namespace convt3d::app
