using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Hosting;

/// <summary>
/// A thread for a protocol that others judge this host by: on a host whose guests take all the processors it still gets its
/// turn within a millisecond or so, because its nice value is lower by <see cref="Urgency"/>. It must not compute for long.
/// </summary>
internal static partial class UrgentThread
{
    /// <summary>A tenth of a millisecond every now and then is all it takes; a real-time policy would let a mistake stop the host.</summary>
    private const int Urgency = 10;

    private const int Lowest = -20;
    private const int SchedOther = 0;
    private const int SchedResetOnFork = 0x40000000;
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

    /// <summary>Raises the calling thread. Where that is forbidden (needs CAP_SYS_NICE) it goes on as it is.</summary>
    private static void Hurry(string name, ILogger logger)
    {
        // Threads inherit the nice value, and this one may be the one that starts the pool's next: sched(7), SCHED_RESET_ON_FORK.
        int none = 0;
        if (SetScheduler(0, SchedOther | SchedResetOnFork, in none) != 0
            || SetPriority(PrioProcess, 0, Math.Max(Lowest, GetPriority(PrioProcess, 0) - Urgency)) != 0)
        {
            Log.NotRaised(logger, name, Marshal.GetLastPInvokeErrorMessage());
        }
    }

    // LibraryImport would generate unsafe code, which only Kcore.Netlink may hold; these marshal trivially. Zero is the
    // calling thread: Linux keeps both per thread.
    [DllImport("libc", EntryPoint = "sched_setscheduler", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SetScheduler(int thread, int policy, in int priority);

    [DllImport("libc", EntryPoint = "getpriority", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int GetPriority(int kind, int thread);

    [DllImport("libc", EntryPoint = "setpriority", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SetPriority(int kind, int thread, int nice);

    private static partial class Log
    {
        [LoggerMessage(1015, LogLevel.Information, "The thread '{Name}' runs at ordinary priority ({Cause}): on a host that is short of processor time this node may seem slow to others")]
        public static partial void NotRaised(ILogger logger, string name, string cause);
    }
}
