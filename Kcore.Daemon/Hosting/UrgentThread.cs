using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Hosting;

/// <summary>
/// A thread for a protocol that others judge this host by: on a host whose guests take all the processors it still gets its
/// turn within a millisecond or so, because its nice value is lower by <see cref="Urgency"/> and its turns are short. It must
/// not compute for long.
/// </summary>
internal static partial class UrgentThread
{
    /// <summary>A tenth of a millisecond every now and then is all it takes; a real-time policy would let a mistake stop the host.</summary>
    private const int Urgency = 10;

    /// <summary>
    /// Nanoseconds it asks the scheduler for at a time, the least there is. The nice value says only how much it gets in the
    /// long run: a thread that wakes does not end the turn of another, by default 1.4 ms and looked at every 4 ms, unless its
    /// own is shorter (Linux 6.12 and later, kernel/sched/fair.c, PREEMPT_SHORT; older ones ignore it).
    /// </summary>
    internal const ulong TurnNanoseconds = 100_000;

    private const int Lowest = -20;
    private const int SchedOther = 0;
    private const ulong ResetOnFork = 1;
    private const int PrioProcess = 0;

    /// <summary>Runs the work on a thread of its own.</summary>
    /// <returns>Completes as the work does, with its exception if it threw one.</returns>
    public static Task RunAsync(string name, Action work, ILogger logger)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            Hurry(name, logger);
            try
            {
                work();
                ended.SetResult();
            }
            catch (Exception e)
            {
                ended.SetException(e);
            }
        })
        { IsBackground = true, Name = name }.Start();
        return ended.Task;
    }

    /// <summary>Raises the calling thread. Where that is forbidden (needs CAP_SYS_NICE) its turns are short all the same.</summary>
    private static void Hurry(string name, ILogger logger)
    {
        int nice = GetPriority(PrioProcess, 0);
        if (!TrySet(Math.Max(Lowest, nice - Urgency)))
        {
            Log.NotRaised(logger, name, Marshal.GetLastPInvokeErrorMessage());
            TrySet(nice);
        }
    }

    private static bool TrySet(int nice)
    {
        // Threads inherit the nice value, and this one may be the one that starts the pool's next: sched(7), SCHED_RESET_ON_FORK.
        var wanted = new Attributes { Size = (uint)Marshal.SizeOf<Attributes>(), Policy = SchedOther, Flags = ResetOnFork, Nice = nice, Runtime = TurnNanoseconds };
        return SystemCall(SetAttributes, 0, in wanted, 0) == 0;
    }

    /// <summary>sched_setattr(2), which Debian 12's libc has no function for (asm/unistd.h).</summary>
    private static nint SetAttributes => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 274 : 314;

    // LibraryImport would generate unsafe code, which only Kcore.Netlink may hold; these marshal trivially. Zero is the
    // calling thread: Linux keeps both per thread.
    [DllImport("libc", EntryPoint = "syscall", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint SystemCall(nint number, nint thread, in Attributes attributes, nint flags);

    [DllImport("libc", EntryPoint = "getpriority", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int GetPriority(int kind, int thread);

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
