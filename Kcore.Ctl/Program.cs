using System.Runtime.InteropServices;
using System.Text;
using Kcore.Ctl;
using Kcore.Ctl.Commands;
using Microsoft.Win32.SafeHandles;

var utf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
// Console.Out would load the terminal database first; plain streams start quicker. The console's stream also drops
// EPIPE, so that `kctl events --follow | head` would never end; a file stream reports it, but keeps its own position,
// which is wrong for a regular file that several commands append to. Hence one for pipes and terminals, one for files.
var descriptor = new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
var output = new StreamWriter(descriptor.CanSeek ? Console.OpenStandardOutput() : descriptor, utf8, bufferSize: 16 * 1024);
using var error = new StreamWriter(Console.OpenStandardError(), utf8, bufferSize: 1024) { AutoFlush = true };
using var interrupted = new CancellationTokenSource();

// Taking the signals over lets a waiting command say whether the change stands.
void OnSignal(PosixSignalContext context)
{
    context.Cancel = true;
    interrupted.Cancel();
}

using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);

var surroundings = new Surroundings(
    output,
    error,
    Environment.GetEnvironmentVariable,
    TimeProvider.System,
    pause => interrupted.Token.WaitHandle.WaitOne(pause),
    !Console.IsErrorRedirected && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR")),
    interrupted.Token);

int exitCode = (int)CommandLine.Run(args, surroundings);
try
{
    output.Flush();
}
catch (IOException)
{
    // The reader has gone (`kctl get nics | head -1`); nobody is left to be told.
}

return exitCode;
