using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Kcore.Daemon.Cluster.Members;

/// <summary>
/// What a thread sleeps on: its socket, a time, and anybody who wakes it, any number of times; it wakes once and looks at
/// everything. A wake-up between two sleeps ends the next one at once, so none is missed. The kernel alone stands between
/// a datagram and the thread that answers it: no other thread has to run first (eventfd(2), ppoll(2)).
/// </summary>
internal sealed class Wake : IDisposable
{
    private const int CloseOnExec = 0x80000;
    private const int NonBlocking = 0x800;
    private const short Readable = 1;
    private const int Interrupted = 4;

    private readonly SafeFileHandle _event;
    private readonly Poll[] _polls = new Poll[2];
    private int _isSet;

    /// <exception cref="Win32Exception">The process has no file descriptor left.</exception>
    public Wake()
    {
        int descriptor = EventFd(0, CloseOnExec | NonBlocking);
        if (descriptor < 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }

        _event = new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>Wakes the sleeper; from any thread, also when it sleeps no more.</summary>
    public void Set()
    {
        if (Interlocked.Exchange(ref _isSet, 1) != 0)
        {
            return;
        }

        ulong one = 1;
        try
        {
            Write(_event, in one, sizeof(ulong));
        }
        catch (ObjectDisposedException)
        {
            // The loop has ended.
        }
    }

    /// <summary>Sleeps until woken, until the time is over, or until there is something to read; now and then for nothing.</summary>
    /// <param name="socket">Null: whatever comes there waits.</param>
    public void Sleep(TimeSpan atMost, SafeHandle? socket = null)
    {
        _polls[0] = new Poll { Descriptor = (int)_event.DangerousGetHandle(), Events = Readable };
        _polls[1] = new Poll { Descriptor = socket is null ? -1 : (int)socket.DangerousGetHandle(), Events = Readable };
        var limit = new Time(Math.Max(0, Math.Min(atMost.Ticks, TimeSpan.TicksPerHour)));
        if (PPoll(_polls, (nuint)_polls.Length, in limit, IntPtr.Zero) < 0 && Marshal.GetLastPInvokeError() is var error and not Interrupted)
        {
            throw new Win32Exception(error);
        }

        if (_polls[0].Happened != 0)
        {
            ulong count = 0;
            Read(_event, ref count, sizeof(ulong));
        }

        // Whoever comes from here on writes again; who came before finds that the sleeper looks only now.
        Interlocked.Exchange(ref _isSet, 0);
    }

    public void Dispose() => _event.Dispose();

    // LibraryImport would generate unsafe code, which only Kcore.Netlink may hold; these marshal trivially.
    [DllImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int EventFd(uint initial, int flags);

    [DllImport("libc", EntryPoint = "write", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint Write(SafeFileHandle file, in ulong value, nint size);

    [DllImport("libc", EntryPoint = "read", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint Read(SafeFileHandle file, ref ulong value, nint size);

    [DllImport("libc", EntryPoint = "ppoll", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int PPoll([In, Out] Poll[] polls, nuint count, in Time limit, IntPtr signals);

    /// <summary><c>struct pollfd</c> (poll.h); a negative descriptor is passed over.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Poll
    {
        public int Descriptor;
        public short Events;
        public short Happened;
    }

    /// <summary><c>struct timespec</c> of a 64-bit system.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Time(long ticks)
    {
        private readonly long _seconds = ticks / TimeSpan.TicksPerSecond;
        private readonly long _nanoseconds = ticks % TimeSpan.TicksPerSecond * TimeSpan.NanosecondsPerTick;
    }
}
