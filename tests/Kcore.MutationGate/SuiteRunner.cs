using System.Diagnostics;
using System.Reflection;
using System.Runtime.Loader;
using Xunit;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace Kcore.MutationGate;

/// <summary>
/// Runs the tests of one assembly in this process and ends at the first that fails. Assemblies are looked for in the
/// folder of the mutated ones first, then beside the tests, so nothing of the tests' output is copied or changed.
/// </summary>
internal sealed class SuiteRunner : IDisposable
{
    public const int Failed = 1;

    private readonly XunitTestFramework _framework = new(new Ignore());
    private readonly Assembly _assembly;

    private SuiteRunner(Assembly assembly) => _assembly = assembly;

    /// <param name="tests">Path of the test assembly.</param>
    /// <param name="mutated">Folder of what takes the place of the assemblies beside it.</param>
    /// <param name="contains">Words of which a test's full name must contain one; none for every test.</param>
    /// <returns>The exit code of the process.</returns>
    public static int Run(string tests, string mutated, string[] contains)
    {
        string beside = Path.GetDirectoryName(tests)!;
        AppContext.SetData("APP_CONTEXT_BASE_DIRECTORY", beside + Path.DirectorySeparatorChar);
        AssemblyLoadContext.Default.Resolving += (context, name) =>
            new[] { mutated, beside }
                .Select(folder => Path.Combine(folder, name.Name + ".dll"))
                .Where(File.Exists)
                .Select(context.LoadFromAssemblyPath)
                .FirstOrDefault();
        Trace.Listeners.Clear();
        Trace.Listeners.Add(new ThrowingListener());
        using var runner = new SuiteRunner(AssemblyLoadContext.Default.LoadFromAssemblyPath(tests));
        return runner.Run(contains);
    }

    public void Dispose() => _framework.Dispose();

    private int Run(string[] contains)
    {
        using var found = new Discovery();
        using ITestFrameworkDiscoverer discoverer = _framework.GetDiscoverer(Reflector.Wrap(_assembly));
        discoverer.Find(includeSourceInformation: false, found, new Settings());
        found.Wait();
        ITestCase[] cases =
        [
            .. found.Cases.Where(test => contains.Length == 0
                || contains.Any($"{test.TestMethod.TestClass.Class.Name}.{test.TestMethod.Method.Name}".Contains)),
        ];
        if (cases.Length == 0)
        {
            Console.WriteLine("no test was found");
            return 2;
        }

        using var execution = new Execution();
        using ITestFrameworkExecutor executor = _framework.GetExecutor(_assembly.GetName());
        executor.RunTests(cases, execution, new Settings());
        execution.Wait();
        Console.WriteLine($"{execution.Passed} passed");
        return execution.Passed > 0 ? 0 : 2;
    }

    /// <summary>A failed assertion of the product fails the test that ran into it, not the process.</summary>
    private sealed class ThrowingListener : TraceListener
    {
        public override void Fail(string? message, string? detailMessage) =>
            throw new InvalidOperationException($"Assertion failed: {message} {detailMessage}");

        public override void Write(string? message)
        {
        }

        public override void WriteLine(string? message)
        {
        }
    }

    private sealed class Settings : ITestFrameworkDiscoveryOptions, ITestFrameworkExecutionOptions
    {
        // One test after the other: several mutations are tried at once.
        private readonly Dictionary<string, object?> _values = new()
        {
            ["xunit.execution.MaxParallelThreads"] = 1,
            ["xunit.execution.DisableParallelization"] = true,
            ["xunit.execution.SynchronousMessageReporting"] = true,
        };

        public TValue GetValue<TValue>(string name) => _values.TryGetValue(name, out object? value) ? (TValue)value! : default!;

        public void SetValue<TValue>(string name, TValue value) => _values[name] = value;
    }

    private sealed class Ignore : LongLivedMarshalByRefObject, IMessageSink
    {
        public bool OnMessage(IMessageSinkMessage message) => true;
    }

    private sealed class Discovery : LongLivedMarshalByRefObject, IMessageSink, IDisposable
    {
        private readonly ManualResetEventSlim _done = new();

        public List<ITestCase> Cases { get; } = [];

        public bool OnMessage(IMessageSinkMessage message)
        {
            if (message is ITestCaseDiscoveryMessage found)
            {
                Cases.Add(found.TestCase);
            }
            else if (message is IDiscoveryCompleteMessage)
            {
                _done.Set();
            }

            return true;
        }

        public void Wait() => _done.Wait();

        public void Dispose() => _done.Dispose();
    }

    private sealed class Execution : LongLivedMarshalByRefObject, IMessageSink, IDisposable
    {
        private readonly ManualResetEventSlim _done = new();

        public int Passed { get; private set; }

        public bool OnMessage(IMessageSinkMessage message)
        {
            switch (message)
            {
                case ITestPassed:
                    Passed++;
                    break;
                case ITestFailed failed:
                    End(failed.Test.DisplayName, failed);
                    break;
                case IErrorMessage or ITestAssemblyCleanupFailure or ITestCollectionCleanupFailure or ITestClassCleanupFailure
                    or ITestCaseCleanupFailure or ITestMethodCleanupFailure or ITestCleanupFailure:
                    End("a fixture", (IFailureInformation)message);
                    break;
                case ITestAssemblyFinished:
                    _done.Set();
                    break;
                default:
                    break;
            }

            return true;
        }

        public void Wait() => _done.Wait();

        public void Dispose() => _done.Dispose();

        // What else would fail tells nothing more, and tests that run on may hang.
        private static void End(string test, IFailureInformation failure)
        {
            Console.WriteLine($"FAILED {test}");
            Console.WriteLine(string.Join('\n', failure.Messages));
            Console.WriteLine(string.Join('\n', failure.StackTraces));
            Console.Out.Flush();
            Environment.Exit(Failed);
        }
    }
}
