using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Hosting;

/// <summary>
/// Whether one thread comes before others: on a host whose guests take all the processors it then still gets its turn within
/// a millisecond or so, because its nice value is lower by <see cref="Urgency"/> and its turns are short. Any thread may change it, one at a time.
/// </summary>
internal sealed partial class ThreadUrgency
{
    /// <summary>A tenth of a millisecond every now and then is all it takes; a real-time policy would let a mistake stop the host.</summary>
    private const int Urgency = 10;

    /// <summary>
    /// Nanoseconds an urgent thread asks the scheduler for at a time, the least there is. The nice value says only how much it gets in the
    /// long run: a thread that wakes does not end the turn of another, by default 1.4 ms and looked at every 4 ms, unless its
    /// own is shorter (Linux 6.12 and later, kernel/sched/fair.c, PREEMPT_SHORT; older ones ignore it).
    /// </summary>
    internal const ulong TurnNanoseconds = 100_000;

    private const int Lowest = -20;
    private const int SchedOther = 0;
    private const ulong ResetOnFork = 1;
    private const int PrioProcess = 0;

    private readonly int _thread;
    private readonly int _nice;
    private readonly string _name;
    private readonly ILogger _logger;
    private bool _isUrgent;
    private bool _isRefused;

    private ThreadUrgency(int thread, string name, ILogger logger)
    {
        _thread = thread;
        _nice = GetPriority(PrioProcess, thread);
        _name = name;
        _logger = logger;
    }

    /// <summary>That of the calling thread, which is an ordinary one so far.</summary>
    public static ThreadUrgency OfThisThread(string name, ILogger logger) => new(ThreadId(), name, logger);

    /// <summary>Raises the thread or makes it ordinary again. Where raising is forbidden (needs CAP_SYS_NICE) its turns are short all the same.</summary>
    public void Set(bool isUrgent)
    {
        if (isUrgent == _isUrgent)
        {
            return;
        }

        _isUrgent = isUrgent;
        ulong turn = isUrgent ? TurnNanoseconds : 0;
        if (TrySet(isUrgent && !_isRefused ? Math.Max(Lowest, _nice - Urgency) : _nice, turn) || !isUrgent || _isRefused)
        {
            return;
        }

        _isRefused = true;
        Log.NotRaised(_logger, _name, Marshal.GetLastPInvokeErrorMessage());
        TrySet(_nice, turn);
    }

    /// <param name="turn">Nanoseconds; 0 is what the kernel gives everybody.</param>
    private bool TrySet(int nice, ulong turn)
    {
        // Threads inherit the nice value, and this one may be the one that starts the pool's next: sched(7), SCHED_RESET_ON_FORK.
        var wanted = new Attributes { Size = (uint)Marshal.SizeOf<Attributes>(), Policy = SchedOther, Flags = ResetOnFork, Nice = nice, Runtime = turn };
        return SystemCall(SetAttributes, _thread, in wanted, 0) == 0;
    }

    /// <summary>sched_setattr(2), which Debian 12's libc has no function for (asm/unistd.h).</summary>
    private static nint SetAttributes => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 274 : 314;

    // LibraryImport would generate unsafe code, which only Kcore.Netlink may hold; these marshal trivially. Linux keeps both
    // attributes per thread and takes its number for that of a process.
    [DllImport("libc", EntryPoint = "syscall", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint SystemCall(nint number, nint thread, in Attributes attributes, nint flags);

    [DllImport("libc", EntryPoint = "getpriority", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int GetPriority(int kind, int thread);

    [DllImport("libc", EntryPoint = "gettid")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int ThreadId();

    /// <summary><c>struct sched_attr</c> of its first version (linux/sched/types.h).</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Attributes
    {
        public uint Size;
        public uint Policy;
        public ulong Flags;
        public int Nice;
        public uint Priority;
        public ulong Runtime;
        public ulong Deadline;
        public ulong Period;
    }

    private static partial class Log
    {
        [LoggerMessage(1015, LogLevel.Information, "The thread '{Name}' runs at ordinary priority ({Cause}): on a host that is short of processor time this node may seem slow to others")]
        public static partial void NotRaised(ILogger logger, string name, string cause);
    }
}
