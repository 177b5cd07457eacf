// Names the calling thread, at most 15 characters, as `top -H` and a debugger show it.
#pragma once

namespace pgduet {
void NameThisThread(const char* name);
}
