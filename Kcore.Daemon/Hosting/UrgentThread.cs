using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Hosting;

/// <summary>A thread for work that others wait for or judge this host by (<see cref="ThreadUrgency"/>). It must not compute for long.</summary>
internal static class UrgentThread
{
    /// <summary>Runs the work on a thread of its own that comes before others.</summary>
    /// <returns>Completes as the work does, with its exception if it threw one.</returns>
    public static Task RunAsync(string name, Action work, ILogger logger) => RunAsync(name, logger, urgency =>
    {
        urgency.Set(true);
        work();
    });

    /// <summary>The same, but the thread is an ordinary one as long as nobody says otherwise.</summary>
    public static Task RunAsync(string name, ILogger logger, Action<ThreadUrgency> work)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            try
            {
                work(ThreadUrgency.OfThisThread(name, logger));
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
}
